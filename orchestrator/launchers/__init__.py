"""Where trials run: each launcher starts tasks somewhere and hands back jobs to listen to."""
