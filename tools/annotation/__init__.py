"""Drawn annotations and the masks made of them: labelme files and VOC folders in, VOC folders and our layout out."""
