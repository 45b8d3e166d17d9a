"""The console's pages: guard, form, call, redirect. No rule of its own: those live where the API calls them too."""
