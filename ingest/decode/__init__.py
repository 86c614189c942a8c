"""Decodes delivered transactions into rows. Pure: no I/O, no clock."""
