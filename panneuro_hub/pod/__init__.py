"""What is attached to the processes and pods of a session, whoever starts them; pure."""
