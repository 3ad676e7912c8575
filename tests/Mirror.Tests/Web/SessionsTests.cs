using Mirror.Web;
using Xunit;

namespace Mirror.Tests.Web;

/// <summary>The sessions that a process remembers.</summary>
public sealed class SessionsTests
{
    [Fact]
    public void The_newest_login_has_its_session_also_where_there_are_too_many()
    {
        using var sessions = new Sessions(null!, null!, TimeProvider.System);
        for (var i = 0; i < 3000; i++)
        {
            var key = Sessions.NewKey();
            var session = new TokenSession($"user{i}", "secret", key, null!, null!, TimeProvider.System);
            var cookie = sessions.BeginWithTokens(key, session);
            Assert.Same(session, sessions.WithTokens(cookie)?.Session);
        }
    }
}
