"""The generated pages and pictures: one module for each family."""
