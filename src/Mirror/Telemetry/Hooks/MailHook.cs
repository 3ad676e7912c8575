using System.Globalization;
using System.Net;
using System.Text;
using MailKit.Net.Smtp;
using MailKit.Security;
using MimeKit;
using Mirror.Configuration;

namespace Mirror.Telemetry.Hooks;

/// <summary>Mails lines of the log, in the form of <c>registry:2</c>.</summary>
internal sealed class MailHook : IHookTarget
{
    private const int MaxSubject = 200;

    private readonly MailOptions _options;
    private readonly ListenAddress _server;

    /// <param name="options">With a server, a sender, and who gets the mail.</param>
    public MailHook(MailOptions options) => (_options, _server) = (options, ListenAddress.Parse(options.Smtp.Addr!));

    public string Name => "mail";

    public async Task SendAsync(HookLine line, CancellationToken cancellationToken)
    {
        using var message = new MimeMessage { Subject = Subject(line), Body = new TextPart("plain") { Text = Body(line) } };
        message.From.Add(MailboxAddress.Parse(_options.From!));
        message.To.AddRange(_options.To.Select(MailboxAddress.Parse));
        using var client = new SmtpClient { CheckCertificateRevocation = false };
        var smtp = _options.Smtp;
        if (smtp.Insecure)
#pragma warning disable CA5359 // The key insecure of the section asks for it.
            client.ServerCertificateValidationCallback = static (_, _, _, _) => true;
#pragma warning restore CA5359
        // TLS at once on port 465; elsewhere STARTTLS, where the server offers it.
        await client.ConnectAsync(_server.Host, _server.Port, SecureSocketOptions.Auto, cancellationToken);
        if (smtp.Username is { } user)
        {
            if (!client.IsSecure && !smtp.Insecure && !IsThisMachine)
                throw new AuthenticationException(
                    $"{smtp.Addr} offers no TLS, and the password is not sent without it; allow it with options.smtp.insecure: true");
            await client.AuthenticateAsync(user, smtp.Password ?? "", cancellationToken);
        }
        await client.SendAsync(message, cancellationToken);
        await client.DisconnectAsync(quit: true, cancellationToken);
    }

    public void Dispose()
    {
    }

    private bool IsThisMachine =>
        _server.Host is "localhost" || IPAddress.TryParse(_server.Host, out var address) && IPAddress.IsLoopback(address);

    // A line break would begin another header.
    private string Subject(HookLine line)
    {
        var text = $"[{LogLineFields.LevelName(line.Level)}] {_server.Host}: {line.Message}".ReplaceLineEndings(" ");
        return text.Length > MaxSubject ? text[..MaxSubject] : text;
    }

    private static string Body(HookLine line)
    {
        var body = new StringBuilder(line.Message).Append('\n').Append('\n');
        body.Append(CultureInfo.InvariantCulture, $"time: {line.Time:O}\n");
        foreach (var (key, value) in line.Fields)
            body.Append(key).Append(": ").Append(value).Append('\n');
        return body.ToString();
    }
}
