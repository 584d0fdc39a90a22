"""What phones and desktops measured of a build: the case they check it on, their reports, and what these say."""
