"""BlockPush: push two blocks into two targets."""
