"""The preset `wide`: hands and films as varied as those of many hospitals, for training before the films of one."""
