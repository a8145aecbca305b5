"""The DuckDB warehouse: its file, its tables, its channels, its catalogue. The only place that writes SQL."""
