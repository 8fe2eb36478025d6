"""The paper's two steps: NHLE trains the features, CWM masks the head."""
