"""What is known of a failure that no function of torch's raised: read off the frame, never run."""
