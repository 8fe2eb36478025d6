"""The default where samples are few, classes many, anchors odd, or the class rare."""
