"""Registration: which pixel of an optical scene shows the place of a pixel of a SAR scene."""
