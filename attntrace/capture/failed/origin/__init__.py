"""Where a wrong size came from: the rows and the lines of constructors that it went through."""
