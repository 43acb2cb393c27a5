"""Workers run plans: the torch worker on a device, and a fake one for the control plane's tests."""
