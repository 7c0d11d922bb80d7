-- The first number that is given to no block, where numbers leapt up to seq and nobody was told of it; the next block of
-- the stream is the word of that.
ALTER TABLE streams ADD COLUMN leapt INTEGER;
