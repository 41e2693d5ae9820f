"""OSM-SSD: pretrain a SAR backbone on SAR-optical pairs, and prove what it gives a ship detector."""

__version__ = "0.1.0"
