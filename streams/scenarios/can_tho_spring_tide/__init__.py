"""One simulated October day in Cần Thơ: a spring tide, two rush hours, flooded streets, citizens' reports."""
