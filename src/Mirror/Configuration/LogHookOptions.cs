namespace Mirror.Configuration;

/// <summary>An entry of <c>log.hooks</c>: mails lines of the log.</summary>
public sealed class LogHookOptions
{
    /// <summary>The only kind of hook.</summary>
    public const string Mail = "mail";

    public bool Disabled { get; set; }

    /// <summary>The kind of hook. Null: none, and the entry does nothing.</summary>
    public string? Type { get; set; }

    /// <summary>The levels of the lines, in the words of <c>registry:2</c>.</summary>
    public string[] Levels { get; set; } = [];

    public MailOptions Options { get; set; } = new();

    /// <summary>Whether the entry sends anything.</summary>
    public bool IsUsed =>
        this is { Disabled: false, Type: Mail, Levels: not [], Options: { Smtp.Addr: not null, From: not null, To: not [] } };
}

/// <summary>Section <c>options</c> of an entry of <c>log.hooks</c>.</summary>
public sealed class MailOptions
{
    public SmtpOptions Smtp { get; set; } = new();

    /// <summary>The address of the sender. Null: no mail is sent.</summary>
    public string? From { get; set; }

    /// <summary>The addresses that get each mail.</summary>
    public string[] To { get; set; } = [];
}

/// <summary>Section <c>options.smtp</c> of an entry of <c>log.hooks</c>.</summary>
public sealed class SmtpOptions
{
    /// <summary>Host and port of the mail server. Null: no mail is sent.</summary>
    public string? Addr { get; set; }

    /// <summary>Null: no login.</summary>
    public string? Username { get; set; }

    public string? Password { get; set; }

    /// <summary>Whether any certificate is accepted, and the login sent without TLS.</summary>
    public bool Insecure { get; set; }
}
