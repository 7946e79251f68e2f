"""What every command on a terminal shares: options, words for people, whole files."""
