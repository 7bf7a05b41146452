"""The running half of waypost: everything that awaits, logs, listens or reads the clock."""
