"""What tools/datalist.py does with a data set: look at every image, tell what it saw, convert other layouts."""
