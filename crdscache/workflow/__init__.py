"""What rules, scripts and commands share: settings, logs, status, starting snakemake."""
