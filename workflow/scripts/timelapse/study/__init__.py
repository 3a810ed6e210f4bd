"""What a study asks for: its config, its runs, the jobs that they make and what these need."""
