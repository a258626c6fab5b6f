"""Neural ordinary differential equations: credit through a continuous flow."""
