#![doc = "Harness of the kernel and lab tests."]
