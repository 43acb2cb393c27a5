"""The command `ramify`: run, explain and talk to programs from a terminal. It stands above `lang`."""
