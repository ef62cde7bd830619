"""Grids of transfers: carried out, resumed, graded; a comparison is a grid of one pair."""
