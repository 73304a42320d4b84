"""Authorization: the policy of actions and attributes, visibility, quotas."""
