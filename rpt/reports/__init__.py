"""From run records to numbers, tables, figures and one page. Imports no torch."""
