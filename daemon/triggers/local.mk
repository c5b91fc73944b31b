# triggers
