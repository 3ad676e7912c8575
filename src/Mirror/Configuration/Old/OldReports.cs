using YamlDotNet.RepresentationModel;

namespace Mirror.Configuration.Old;

/// <summary>The keys and variables of docker-registry 0.x that tell people and services of errors: mail, Bugsnag, New Relic.</summary>
internal static class OldReports
{
    private const string Hook = "log.hooks, type mail";
    private const string LicenseKey = "NEW_RELIC_LICENSE_KEY";

    // The second name of each is the manual's.
    private static readonly string[] FileVariables = ["NEW_RELIC_CONFIG_FILE", "NEW_RELIC_INI"];
    private static readonly string[] StageVariables = ["NEW_RELIC_ENVIRONMENT", "NEW_RELIC_STAGE"];

    /// <param name="flavor">The flavor in use, which is Bugsnag's release stage.</param>
    public static void Translate(OldSettings old, string flavor, IReadOnlyDictionary<string, string> environment)
    {
        // Some manuals have the keys at the top of a flavor.
        Mail(old, "email_exceptions.");
        Mail(old, "");
        if (old["bugsnag"] is { } key)
        {
            old.Set("reporting.bugsnag.apikey", key);
            old.Set("reporting.bugsnag.releasestage", flavor);
            old.Say("bugsnag", OldKeyFate.Taken, "reporting.bugsnag");
        }
        ToNewRelic(old, environment);
    }

    private static void Mail(OldSettings old, string section)
    {
        if (old[$"{section}smtp_host"] is not { } host)
        {
            foreach (var key in new[] { "smtp_port", "smtp_login", "smtp_password", "smtp_secure", "from_addr", "to_addr" })
                old.Say(section + key, OldKeyFate.WithoutEffect, $"{section}smtp_host is not set");
            old.SayOfAll($"{section}smtp_secure.", OldKeyFate.WithoutEffect, $"{section}smtp_host is not set");
            return;
        }
        YamlMappingNode smtp = [], options = new() { { "smtp", smtp } };
        smtp.Add("addr", $"{(host.Contains(':', StringComparison.Ordinal) ? $"[{host}]" : host)}:{old[$"{section}smtp_port"] ?? "25"}");
        old.Say($"{section}smtp_host", OldKeyFate.Taken, Hook);
        old.Say($"{section}smtp_port", OldKeyFate.Taken, Hook);
        Take(smtp, "username", "smtp_login");
        Take(smtp, "password", "smtp_password");
        Take(options, "from", "from_addr");
        if (old[$"{section}to_addr"] is { } to)
            options.Add("to", new YamlSequenceNode(new YamlScalarNode(to)));
        old.Say($"{section}to_addr", OldKeyFate.Taken, Hook);
        Secure(old, $"{section}smtp_secure", smtp);
        old.Set("log.hooks", new YamlSequenceNode(new YamlMappingNode
        {
            { "type", LogHookOptions.Mail },
            { "levels", new YamlSequenceNode("panic", "fatal", "error") },
            { "options", options },
        }));

        void Take(YamlMappingNode to, string today, string key)
        {
            if (old[section + key] is { } value)
                to.Add(today, value);
            old.Say(section + key, OldKeyFate.Taken, Hook);
        }
    }

    private static void Secure(OldSettings old, string key, YamlMappingNode smtp)
    {
        const string noKey = "TLS is used where the mail server offers it, without a key of this server: let the mail server ask for "
            + "smtp_login instead";
        if (old.Flag(key) == false)
        {
            smtp.Add("insecure", "true");
            old.Say(key, OldKeyFate.Taken, "options.smtp.insecure, true");
        }
        else
            old.Say(key, old.Flag(key) is null ? OldKeyFate.NotDone : OldKeyFate.Taken, old.Flag(key) is null ? noKey
                : "TLS is used where the mail server offers it, and a password is sent with TLS only");
        old.SayOfAll($"{key}.", OldKeyFate.NotDone, noKey);
    }

    private static void ToNewRelic(OldSettings old, IReadOnlyDictionary<string, string> environment)
    {
        const string taken = "reporting.newrelic: metrics and traces by OTLP";
        var (file, stage) = (First(FileVariables), First(StageVariables));
        var ini = file is { } path && FileMistake.Of(path.Value) is null ? IniFile.Read(path.Value) : null;
        var key = OldFile.Value(environment, LicenseKey) ?? FromFile("license_key");
        if (key is not null)
        {
            old.Set("reporting.newrelic.licensekey", key);
            // The file may have several names for one program.
            if (FromFile("app_name")?.Split(';')[0].Trim() is { Length: > 0 } name)
                old.Set("reporting.newrelic.name", name);
        }
        if (OldFile.Value(environment, LicenseKey) is { } secret)
            old.Say(LicenseKey, secret, OldKeyFate.Taken, taken);
        if (file is { } named)
            old.Say(named.Name, named.Value, key is null ? OldKeyFate.NotDone : OldKeyFate.Taken, key is null
                ? $"the file has no license_key, or cannot be read; {LicenseKey} says it too"
                : taken);
        if (stage is { } chosen)
            old.Say(chosen.Name, chosen.Value, ini is null ? OldKeyFate.WithoutEffect : OldKeyFate.Taken, ini is null
                ? "it chooses a section of New Relic's file, and there is none; OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=STAGE "
                    + "says it today"
                : $"the section newrelic:{chosen.Value} of New Relic's file");

        string? FromFile(string name) =>
            ini?.GetValueOrDefault(($"newrelic:{stage?.Value}", name)) ?? ini?.GetValueOrDefault(("newrelic", name));

        (string Name, string Value)? First(string[] names)
        {
            foreach (var name in names)
                if (OldFile.Value(environment, name) is { } value)
                    return (name, value);
            return null;
        }
    }
}
