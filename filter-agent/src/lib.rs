#![doc = "The user half of the filter."]
