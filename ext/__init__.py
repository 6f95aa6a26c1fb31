"""Everything compiled. Knows arrays and structs only."""
