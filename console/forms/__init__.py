"""The console's forms, one module for each subject. They convert input; the functions behind the API hold the rules."""
