"""Knowledge of an organisation beside its flow records. It stays in the organisation, and no shared model reads it."""
