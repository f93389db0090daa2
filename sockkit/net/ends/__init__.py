"""What bytes come from and go to."""
