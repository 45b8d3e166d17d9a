"""The console's forms, one module for each subject. The rules are those of the functions that the API calls too."""
