-- Numbers that JSON has no word for (NaN, infinities) are objects now, as octets are: one of them made the view fail for
-- all. In segments of before they are null. Values are as they were stored: a text with a NUL ended there.
DROP VIEW readings;

-- Every capture, for people with the sqlite3 shell, which has sqlar_uncompress; `dcu export` is quicker. cells: JSON
-- array of the values; {"hex": …} are octets, {"float": "nan"} is such a number.
CREATE VIEW readings AS
    WITH texts AS (
        SELECT place, CAST(sqlar_uncompress(content, octets) AS TEXT) AS text FROM segments),
    runs AS (
        SELECT place, run.key AS run, run.value AS fields
        FROM texts, json_each(CASE WHEN json_valid(text) THEN text
            ELSE replace(replace(replace(text, '-Infinity', 'null'), 'Infinity', 'null'), 'NaN', 'null') END) AS run),
    times AS (
        SELECT place, run, fields, key AS row,
            sum(value) OVER (PARTITION BY place, run ORDER BY key) AS at
        FROM runs, json_each(fields, '$[7]')),
    columns AS (
        SELECT place, run, column.key AS number, column.value AS content,
            NOT EXISTS (SELECT 1 FROM json_each(column.value) WHERE type <> 'integer') AS differences
        FROM runs, json_each(fields, '$[8]') AS column),
    cells AS (
        SELECT place, run, number, cell.key AS row,
            CASE WHEN differences THEN sum(iif(differences, cell.value, 0))
                    OVER (PARTITION BY place, run, number ORDER BY cell.key)
                ELSE json(content -> cell.key) END AS value,
            NOT differences AS quoted
        FROM columns, json_each(content) AS cell)
    SELECT place, streams.name AS stream, meters.name AS meter, fields ->> 1 AS layout, at,
        coalesce(fields ->> ('$[6][' || row || ']'), fields ->> 6) AS status, fields ->> 3 AS read_at,
        fields ->> 4 AS offset, fields ->> 5 AS trusted,
        (SELECT json_group_array(iif(quoted, json(value), value)) FROM (
            SELECT value, quoted FROM cells
            WHERE cells.place = times.place AND cells.run = times.run AND cells.row = times.row ORDER BY number)
        ) AS cells
    FROM times JOIN meters ON meters.meter = fields ->> 0 JOIN streams ON streams.stream = place >> 40;
