"""What each exchange says: one pure module per venue, behind one protocol."""
