"""vending."""
