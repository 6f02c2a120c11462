"""How a terminal reaches card and PSAM: in process, through PC/SC, through a virtual reader."""
