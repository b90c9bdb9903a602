"""The service's database: its engine, its tables, and the migrations of its schema."""
