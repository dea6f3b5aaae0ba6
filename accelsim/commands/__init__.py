"""What each command of the command line does; stages are imported only when a command needs them."""
