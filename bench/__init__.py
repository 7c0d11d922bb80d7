"""The measurements of this project: each answers one question with figures, a method, and goals to hold against."""
