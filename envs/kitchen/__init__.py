"""Kitchen: four elements of a kitchen, in any order."""
