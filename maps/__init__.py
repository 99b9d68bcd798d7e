"""The wall: the map that Folium builds, its server, and the live changes it pushes to browsers."""
