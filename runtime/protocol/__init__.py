"""Wire types shared by clients, the core and workers. No behaviour lives here."""
