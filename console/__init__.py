"""What every page of the console shares: language, time zone, headers, and forms that are sent twice."""
