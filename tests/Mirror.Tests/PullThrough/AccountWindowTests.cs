using Microsoft.Extensions.Time.Testing;
using Mirror.Upstream;
using Xunit;

namespace Mirror.Tests.PullThrough;

public sealed class AccountWindowTests
{
    [Fact]
    public void After_the_window_an_account_is_not_nearly_spent_any_more()
    {
        var time = new FakeTimeProvider();
        var account = new Account(0, _ => ValueTask.FromResult<Credential?>(null), time);
        account.Observe(100, 2, time.GetUtcNow() + TimeSpan.FromHours(6));
        Assert.Equal((2L, true, false), (account.Remaining, account.HasFewPullsLeft, account.HasManyPullsLeft));
        Assert.NotNull(account.RenewedBy);

        time.Advance(TimeSpan.FromHours(6));
        Assert.Equal((null, false, true), (account.Remaining, account.HasFewPullsLeft, account.HasManyPullsLeft));
        Assert.Equal((100L, null), (account.Limit, account.RenewedBy));
    }

    [Fact]
    public void Without_a_window_what_upstream_told_last_counts()
    {
        var time = new FakeTimeProvider();
        var account = new Account(0, _ => ValueTask.FromResult<Credential?>(null), time);
        account.Observe(100, 2, renewedBy: null);
        time.Advance(TimeSpan.FromDays(2));
        Assert.Equal((2L, true), (account.Remaining, account.HasFewPullsLeft));
    }
}
