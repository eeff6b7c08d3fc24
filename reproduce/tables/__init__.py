"""Tables: statistics, Markdown, figures and the driver behind `make table1`."""
